import { Inject, Injectable } from '@nestjs/common';
import { inSpan } from '../telemetry/span.js';
import { Tracing } from '../telemetry/tracing.js';
import type { Written } from './kept-row.js';
import { RenewalAttempt, type Claim, type Watch } from './renewal-attempt.js';

/** A renewal as a span: of the request that wanted it, or, where the calendar did, as a trace of its own. */
@Injectable()
export class TracedAttempt extends RenewalAttempt {
  @Inject(Tracing) private readonly tracing!: Tracing;

  override async run(claim: Claim, watch: Watch): Promise<Written | undefined> {
    const { id, provider, tokenVersion } = claim.claimed;
    const span = this.tracing.working('renewal', {
      'token_broker.provider': provider,
      'token_broker.connection_id': id,
      'token_broker.version': tokenVersion,
    });
    if (!span) return super.run(claim, watch);
    try {
      const written = await inSpan(span, () => super.run(claim, watch));
      if (!written) span.fail('not_kept');
      else span.note({ 'token_broker.status': written.status });
      if (written && written.tokenVersion === tokenVersion) span.fail('not_renewed');
      return written;
    } catch (error) {
      span.fail('internal_error');
      throw error;
    } finally {
      span.end();
    }
  }
}
