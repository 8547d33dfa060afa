import { stdout } from 'node:process';
import { Inject, Injectable } from '@nestjs/common';
import { SETTINGS } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { answerEvent } from './audit-answer.js';
import type { AuditColumns } from './audit-columns.js';

/** The trail as lines of JSON on the standard output, for a log pipeline (`AUDIT_STDOUT`). */
@Injectable()
export class AuditLines {
  constructor(@Inject(SETTINGS) private readonly settings: Pick<Settings, 'audit'>) {}

  /** Does anybody want them? */
  get areTold(): boolean {
    return this.settings.audit.stdout;
  }

  /** Of what is written; nothing of a change that came to nothing. */
  tell(columns: AuditColumns): void {
    if (this.areTold) stdout.write(`${JSON.stringify({ type: 'audit', ...answerEvent(columns) })}\n`);
  }
}
