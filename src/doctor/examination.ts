import { NestFactory } from '@nestjs/core';
import { ConfigModule } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { ProviderObservations } from '../provider/observations.js';
import { ProviderModule } from '../provider/provider.module.js';
import { Upstream } from '../provider/upstream.js';
import { Clock } from '../shared/clock.js';
import { checkCallers } from './callers-check.js';
import { checkDatabase } from './database-check.js';
import type { Finding } from './finding.js';
import { checkKeys } from './keys-check.js';
import { checkProvider } from './provider-check.js';
import { checkProviderStates } from './provider-state-check.js';
import { checkPublicUrls } from './public-url-check.js';
import { checkWebhooks } from './webhooks-check.js';

class Examination {}

/** Looks at everything that the broker would work with, as the broker would, and changes nothing. */
export async function examine(settings: Settings, clock = new Clock()): Promise<readonly Finding[]> {
  const configuration = settings.warnings.map((what): Finding => {
    return { about: 'configuration', level: 'warning', what, remedy: 'See docs/configuration.md.' };
  });
  return [
    { about: 'configuration', level: 'ok', what: 'every variable and file can be read' },
    ...configuration,
    ...(await checkDatabase(settings, clock, async (dataSource) => [
      ...(await checkKeys(settings, dataSource)),
      ...(await checkProviderStates(settings, dataSource)),
    ])),
    ...(await checkProviders(settings, clock)),
    ...checkCallers(settings, clock.now()),
    ...(await checkWebhooks(settings, clock)),
    ...(await checkPublicUrls(settings)),
  ];
}

async function checkProviders(settings: Settings, clock: Clock): Promise<readonly Finding[]> {
  const app = await NestFactory.createApplicationContext(
    { module: Examination, imports: [ConfigModule.with(settings, clock), ProviderModule] },
    { logger: false, abortOnError: false },
  );
  try {
    const way = { upstream: app.get(Upstream), observations: app.get(ProviderObservations), clock };
    const findings: Finding[] = [];
    // One after the other: what is seen of a clock has to be of the one that was asked.
    for (const provider of settings.providers) findings.push(...(await checkProvider(provider, way)));
    return findings;
  } finally {
    await app.close();
  }
}
