import { stdout } from 'node:process';
import { Inject, Injectable } from '@nestjs/common';
import { SETTINGS } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { answerEvent } from './audit-answer.js';
import type { AuditRow } from './audit-event.js';

/** The trail as lines of JSON on the standard output, for a log pipeline (`AUDIT_STDOUT`). */
@Injectable()
export class AuditLines {
  constructor(@Inject(SETTINGS) private readonly settings: Pick<Settings, 'audit'>) {}

  /** Of what is written; nothing of a change that came to nothing. */
  tell(row: AuditRow): void {
    if (!this.settings.audit.stdout) return;
    stdout.write(`${JSON.stringify({ type: 'audit', ...answerEvent(row) })}\n`);
  }
}
