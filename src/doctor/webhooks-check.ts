import type { Settings } from '../config/settings.js';
import type { WebhookReceiver } from '../config/webhooks-file.js';
import { refusingPrivate } from '../provider/private-addresses.js';
import type { Clock } from '../shared/clock.js';
import { judgeCertificate, shakeHands } from './certificate.js';
import { Findings, type Finding } from './finding.js';

/** Whether whoever is to be told what happens can be reached; nobody is told anything. */
export async function checkWebhooks(settings: Settings, clock: Clock): Promise<readonly Finding[]> {
  const receivers = settings.webhooks?.current ?? [];
  return (await Promise.all(receivers.map((each) => checkReceiver(each, settings, clock)))).flat();
}

async function checkReceiver(
  { name, url: address, allowPrivate }: WebhookReceiver,
  { production }: Settings,
  clock: Clock,
): Promise<readonly Finding[]> {
  const findings = new Findings('webhooks', name);
  const url = new URL(address);
  const shown = await shakeHands(url, production && !allowPrivate ? refusingPrivate : undefined);
  if (!('away' in shown)) judgeCertificate(shown, url, findings, clock);
  else if (shown.away === 'private_address')
    findings.problem(
      `${url.host} leads to a private address`,
      'If that is meant, say allow_private: true in WEBHOOKS_FILE.',
    );
  else
    findings.problem(
      `${url.host} is not reached (${shown.away})`,
      'Check its url in WEBHOOKS_FILE, DNS, and whether this machine may connect to it; what happens waits three days for it.',
    );
  return findings.all;
}
