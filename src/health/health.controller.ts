import { Controller, Get, Query, ServiceUnavailableException } from '@nestjs/common';
import { HealthCheckService, type HealthCheckResult } from '@nestjs/terminus';
import { IsIn, IsOptional } from 'class-validator';
import { Public } from '../http/access.js';
import { Answers } from '../http/description.js';
import { Problem } from '../shared/problem.js';
import { Field, oneOf, type Schema } from '../shared/schema.js';
import { Readiness } from './readiness.js';

const WHY_PUBLIC = 'probes carry no key; it tells only whether the process is well';

const PARTS: Schema = {
  type: 'object',
  additionalProperties: { type: 'object', required: ['status'], properties: { status: { type: 'string' } } },
  examples: [{ database: { status: 'up' } }],
};

class LiveAnswer {
  @Field(oneOf(['ok'])) readonly status!: 'ok';
}

/** As Terminus answers: every part, and of those that are well and those that are not each apart. A provider in trouble degrades it. */
class HealthAnswer {
  @Field(oneOf(['ok', 'degraded'])) readonly status!: 'ok' | 'degraded';
  @Field(PARTS) readonly info!: object;
  @Field({ ...PARTS, examples: [{}] }) readonly error!: object;
  @Field(PARTS) readonly details!: object;
}

/**
 * A balancer asks with `from_memory=true`: a replica is then ready also while its database is away, for as long as it serves
 * tokens that it has read before. All replicas lose their database at once, and nobody would be left to serve them.
 */
class ReadyQuery {
  @IsOptional() @IsIn(['true', 'false']) from_memory?: 'true' | 'false';
}

@Controller('health')
export class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly readiness: Readiness,
  ) {}

  /** The process answers, so its event loop turns: nothing else, or a database's trouble would kill every replica. */
  @Get('live')
  @Public(WHY_PUBLIC)
  @Answers('Does the process run?', LiveAnswer)
  live(): LiveAnswer {
    return { status: 'ok' };
  }

  @Get('ready')
  @Public(WHY_PUBLIC)
  @Answers('Should this replica get requests?', HealthAnswer, 'invalid_request', 'not_ready')
  async ready(@Query() { from_memory }: ReadyQuery): Promise<HealthCheckResult> {
    const database = from_memory === 'true' ? await this.readiness.look() : 'unknown';
    if (database === 'from_memory') {
      return this.#check(() => [
        () => this.readiness.process(),
        () => this.readiness.unlocked(),
        () => this.readiness.remembered(),
      ]);
    }
    return this.#check(() => [
      () => this.readiness.process(),
      () => this.readiness.unlocked(),
      () => this.readiness.reachable(database === 'there'),
      () => this.readiness.migrated(),
      () => this.readiness.accepted(),
    ]);
  }

  @Get('startup')
  @Public(WHY_PUBLIC)
  @Answers('Has the start ended?', HealthAnswer, 'not_ready')
  async startup(): Promise<HealthCheckResult> {
    return this.#check(() => [() => this.readiness.unlocked(), () => this.readiness.migrated()]);
  }

  async #check(indicators: () => Parameters<HealthCheckService['check']>[0]): Promise<HealthCheckResult> {
    try {
      return await this.health.check(indicators());
    } catch (error) {
      if (!(error instanceof ServiceUnavailableException)) throw error;
      const { details } = error.getResponse() as HealthCheckResult;
      const checks = Object.fromEntries(
        Object.entries(details).map(([name, { status, ...rest }]) => [
          name,
          String(rest['reason'] ?? status),
        ]),
      );
      const down = Object.entries(checks).filter(([, state]) => state !== 'up' && state !== 'degraded');
      throw new Problem('not_ready', down.map(([name, state]) => `${name}: ${state}`).join('; '), { checks });
    }
  }
}
