import type { Settings } from '../config/settings.js';
import { Findings, type Finding } from './finding.js';

const TIMEOUT_MS = 5_000;

/** Whether what stands behind the addresses that browsers are sent to is this broker. */
export async function checkPublicUrls(settings: Settings): Promise<readonly Finding[]> {
  if (settings.publicPort === null) return [];
  const own = settings.providers.map(({ publicUrl }) => publicUrl);
  const urls = new Set([settings.publicUrl, ...own]);
  return (await Promise.all([...urls].map(checkPublicUrl))).flat();
}

/** Any path but its own is a 404 there, in the broker's own form; nothing but that is asked for. */
async function checkPublicUrl(url: string): Promise<readonly Finding[]> {
  const findings = new Findings('public_url', url);
  const remedy =
    'Start the broker, or check the ingress. From within a cluster, an address may be out of reach that sellers reach.';
  try {
    const response = await fetch(`${url}/`, { redirect: 'manual', signal: AbortSignal.timeout(TIMEOUT_MS) });
    const isOurs = response.headers.get('content-type')?.includes('problem+json') && response.status === 404;
    await response.body?.cancel();
    if (isOurs) findings.ok('the public side of a broker answers there');
    else
      findings.warn(
        `something answers there that is not the broker's public side (${response.status})`,
        remedy,
      );
  } catch (error) {
    const { code = 'no answer' } = (error as { cause?: { code?: string } }).cause ?? {};
    findings.warn(`nothing answers there (${code})`, remedy);
  }
  return findings.all;
}
