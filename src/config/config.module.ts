import { Module, type DynamicModule } from '@nestjs/common';
import { ConfigModule as NestConfigModule, ConfigService } from '@nestjs/config';
import { Clock } from '../shared/clock.js';
import { StartWatch } from '../shared/start-watch.js';
import type { Settings } from './settings.js';

/** Injection token of the whole Settings. */
export const SETTINGS = Symbol('SETTINGS');

/**
 * What the process was given from outside, read and checked by main.ts: its settings, its clock, and who is told what the
 * start waits for. The one global
 * module, since there is nothing that does not depend on it.
 */
@Module({})
export class ConfigModule {
  static with(settings: Settings, clock: Clock, watch = new StartWatch()): DynamicModule {
    return {
      module: ConfigModule,
      global: true,
      imports: [
        NestConfigModule.forRoot({ ignoreEnvFile: true, skipProcessEnv: true, load: [() => ({ settings })] }),
      ],
      providers: [
        {
          provide: SETTINGS,
          inject: [ConfigService],
          useFactory: (config: ConfigService) => config.getOrThrow<Settings>('settings'),
        },
        { provide: Clock, useValue: clock },
        { provide: StartWatch, useValue: watch },
      ],
      exports: [SETTINGS, Clock, StartWatch],
    };
  }
}
