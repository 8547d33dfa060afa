import type { TokenProvider } from '../provider/token-provider.js';
import { meaningOf, NEW_GRANT } from './connection-code.js';
import { needsPerson, type HeldBack } from './held-back.js';
import type { ClosedBecause } from './room.js';
import { isLeased, isReported, remainingSeconds, rotationOf, type Connection } from './connection.js';

/** What stands around a connection and decides what becomes of it. */
export interface Surroundings {
  /** Undefined where it is not configured here (any more). */
  readonly provider: Pick<TokenProvider, 'renews' | 'mintsFromCredential'> | undefined;
  /** Set while nothing of the provider is renewed. */
  readonly heldBack?: HeldBack | undefined;
}

/**
 * When the engine next tries by itself, by the calendar or after a failure; null: never, unless somebody does something. A
 * time that is past: as soon as the provider's pace allows. It is never before a known end of the provider's rest.
 */
export function nextTryAt(connection: Connection, { provider, heldBack }: Surroundings): Date | null {
  const { renewAt, sealedGrant, status } = connection;
  if (renewAt === null || sealedGrant === null || status === 'paused' || status === 'revoked') return null;
  if (!provider?.renews || (heldBack && needsPerson(heldBack))) return null;
  return heldBack?.until && heldBack.until > renewAt ? heldBack.until : renewAt;
}

/**
 * How a connection stands, in one or two sentences: what is the matter, what the broker does next, and what a person has
 * to do. Made of our own words, codes, ids and times alone. Pure.
 */
export function advise(connection: Connection, around: Surroundings): string {
  const { status } = connection;
  if (status === 'revoked')
    return sentences(matterOf({ ...connection, lastError: null }), revoked(connection, around));
  if (!around.provider) {
    return sentences(
      'Its provider is not configured here, so that nothing of it is served or renewed',
      'An operator has to configure the provider again, or to revoke the connection',
    );
  }
  const standing =
    connection.statusReason === 'expired'
      ? matterOf(connection)
      : `${matterOf(connection)}; ${serving(connection)}`;
  if (isHeldBack(connection, around)) return sentences(standing, closureOf(connection, around.heldBack));
  return sentences(`${standing}${next(connection, around)}`, remedyOf(connection, around));
}

/** What is the matter: the reason of the status, and what failed since. */
function matterOf(connection: Connection): string {
  const { status, statusReason, lastError } = connection;
  const reason = statusReason ?? (status === 'active' ? null : lastError);
  if (reason === null && lastError === null) {
    return status === 'active' ? 'All is well' : UNEXPLAINED[status];
  }
  if (reason === null || lastError === null || lastError === reason) {
    return meaningOf(reason ?? lastError ?? '').matter;
  }
  return `${meaningOf(reason).matter}, and its last try failed (${lowered(meaningOf(lastError).matter)})`;
}

/** Where a row says no more than its status: another release, or a person, has written it. */
const UNEXPLAINED = {
  suspect: 'Its grant is in doubt',
  reauthorization_required: 'Its grant is dead',
  paused: 'It is paused',
  revoked: 'It is revoked',
} as const;

function serving(connection: Connection): string {
  const { status, expiresAt } = connection;
  if (!connection.sealedToken)
    return connection.tokenVersion > 0 ? 'its token is erased' : 'it has no token yet';
  if (!(remainingSeconds(connection) > 0)) return 'its token has expired';
  if (status === 'reauthorization_required' && isReported(connection)) {
    return 'its token was refused with a 401, too, and is not served';
  }
  return expiresAt === null
    ? 'its token is served and never expires'
    : `its token is served until ${iso(expiresAt)}`;
}

function next(connection: Connection, around: Surroundings): string {
  if (isLeased(connection)) return ', and a renewal is running';
  const at = nextTryAt(connection, around);
  if (at === null) {
    // Said already, as what is the matter.
    if (/^(reported|expired)$/.test(connection.statusReason ?? '')) return '';
    const isEndless = connection.status === 'active' && connection.expiresAt === null;
    return isEndless ? ', so that nothing has to be renewed' : ', and nothing renews it';
  }
  const tried = connection.lastError === null ? 'renewed' : 'tried again';
  return `, and it is ${tried} ${at > connection.now ? `at ${iso(at)}` : 'as soon as it can be'}`;
}

function remedyOf(connection: Connection, around: Surroundings): string {
  const { status, statusReason, lastError } = connection;
  const code = statusReason ?? lastError;
  switch (status) {
    case 'reauthorization_required':
      return newGrant(connection, around);
    case 'paused':
      return `${meaningOf('paused_by_operator').remedy}: POST /v1/connections/${connection.id}/resume`;
    case 'suspect':
      if (code === 'reported') return `${meaningOf(code).remedy}: PUT ${pathOf(connection)}`;
      return `Nobody has to do anything unless it is refused until it is given up. Then: ${lowered(newGrant(connection, around))}`;
    case 'active':
    case 'revoked':
      return code === null ? upkeepOf(connection, around) : remedyOfCode(code, connection, around);
  }
}

function remedyOfCode(code: string, connection: Connection, around: Surroundings): string {
  const { remedy } = meaningOf(code);
  if (remedy !== NEW_GRANT) return remedy;
  // One of too many at once, so that it was not believed.
  if (nextTryAt(connection, around) !== null) return 'Nobody has to do anything unless it is refused again';
  return newGrant(connection, around);
}

/** What a well one asks of people: another secret in time, where a person made it. */
function upkeepOf(connection: Connection, { provider }: Surroundings): string {
  const { rotateBy, expiresAt } = connection;
  const put = `PUT ${pathOf(connection)}`;
  if (!provider?.renews && expiresAt !== null) {
    const by = rotateBy !== null && rotateBy < expiresAt ? rotateBy : expiresAt;
    return `An operator has to keep another by ${iso(by)}: ${put}`;
  }
  if (rotateBy === null || rotationOf(connection) === null) return '';
  return `An operator has to keep another secret by ${iso(rotateBy)}: ${put}`;
}

/** How a dead grant comes back: consent where that is the way, else what an operator keeps. */
function newGrant(connection: Connection, { provider, heldBack }: Surroundings): string {
  const path = pathOf(connection);
  const byConsent = provider?.renews && !provider.mintsFromCredential && connection.locationId === null;
  const way = byConsent
    ? `A seller has to connect again, on the link that POST ${path}/authorize-link makes`
    : provider?.mintsFromCredential
      ? `An operator has to have it put right at the provider, or to keep another credential: PUT ${path}`
      : `An operator has to keep another: PUT ${path}`;
  if (heldBack?.because !== 'mass_refusals') return way;
  return `${way}. If it was the provider's mistake: POST /v1/providers/${connection.provider}/revive`;
}

function revoked(connection: Connection, { provider }: Surroundings): string {
  const { upstreamRevocation, expiresAt, tokenVersion, now, statusReason } = connection;
  const { remedy } = meaningOf(statusReason ?? 'revoked_by_operator');
  if (upstreamRevocation === 'owed') return `The provider could not be told yet and is told soon. ${remedy}`;
  const isValid = tokenVersion > 0 && (expiresAt === null || expiresAt > now);
  if (!provider || upstreamRevocation === 'revoked' || !isValid) return remedy;
  const until = expiresAt === null ? 'for ever' : `until ${iso(expiresAt)}`;
  return `The provider was not told, and accepts the token that was handed out ${until}. ${remedy}`;
}

/** Only where something would be tried: a pause of the provider is nothing to a connection that is dead or paused itself. */
function isHeldBack(connection: Connection, around: Surroundings): around is Surroundings & Held {
  return around.heldBack !== undefined && nextTryAt(connection, { provider: around.provider }) !== null;
}

interface Held {
  readonly heldBack: HeldBack;
}

function closureOf({ provider, renewAt }: Connection, { because, until }: HeldBack): string {
  const path = `/v1/providers/${provider}`;
  const then =
    until && renewAt ? `at ${iso(until > renewAt ? until : renewAt)}` : 'as soon as it lets itself be asked';
  const closures: Readonly<Record<ClosedBecause, string>> = {
    paused: `Nothing is renewed while the provider is paused: POST ${path}/resume ends that`,
    misconfigured:
      "The provider refuses the broker's registration and is asked with one connection at a time: an operator has to correct its settings, and new ones are tried at once",
    mass_refusals: `Nothing is renewed since too many of the provider's grants were refused at once: an operator has to find out why, and then to POST ${path}/revive`,
    rate_limited: `Nobody has to do anything: the provider is asked too often, and it is tried again ${then}`,
    unreachable: `Nobody has to do anything: the provider does not answer, and it is tried again ${then}`,
  };
  return closures[because];
}

function pathOf({ provider, companyId, locationId }: Connection): string {
  const location = locationId === null ? '' : `/locations/${locationId}`;
  return `/v1/connections/${provider}/companies/${companyId}${location}`;
}

function sentences(...parts: readonly string[]): string {
  return parts
    .filter((part) => part !== '')
    .map((part) => `${part}.`)
    .join(' ');
}

/** Within a sentence. */
function lowered(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

/** To the second, as people read it. */
function iso(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`;
}
