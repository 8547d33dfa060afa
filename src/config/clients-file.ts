import { plainToInstance } from 'class-transformer';
import { validateSync } from 'class-validator';
import { ClientShape, type ClientDefinition } from './client-shape.js';
import { Environment } from './environment.js';
import { explain } from './explain.js';
import { ConfigurationError, Mistakes } from './mistakes.js';
import { isMistyped, mapTexts, render, variablesIn } from './template.js';
import { readYaml } from './yaml-file.js';

/**
 * Reads `CLIENTS_FILE`: who may call, reviewed where code is. Null where there is none: then nothing is said of clients that came
 * from one. Throws a ConfigurationError with a line per mistake.
 */
export function readClientsFile(environment: Environment): readonly ClientDefinition[] | null {
  const path = environment.plain('CLIENTS_FILE');
  if (path === undefined) return null;
  const { clients, ...rest } = readYaml('CLIENTS_FILE', path);
  if (!Array.isArray(clients) || Object.keys(rest).length > 0)
    throw new ConfigurationError([`${path}: must hold "clients:" alone, and under it a list`]);
  const mistakes = new Mistakes();
  const definitions = new Map<string, ClientDefinition>();
  clients.forEach((written: unknown, index) => {
    const where = `${path}: client ${index + 1}`;
    const read = mistakes.collect(() => readClient(where, written, environment));
    if (!read) return;
    if (definitions.has(read.name)) mistakes.add(`${where}: "${read.name}" stands there twice`);
    definitions.set(read.name, read);
  });
  mistakes.collect(() => refuseTwins(path, [...definitions.values()]));
  mistakes.throwIfAny();
  return [...definitions.values()];
}

function readClient(where: string, written: unknown, environment: Environment): ClientDefinition {
  const wrong = (what: string): ConfigurationError => new ConfigurationError([`${where}: ${what}`]);
  if (typeof written !== 'object' || written === null || Array.isArray(written))
    throw wrong('must be a map with a name and permissions');
  const filled = mapTexts(written, (text) => {
    if (isMistyped(text)) throw wrong('${NAME} or ${NAME:-default} is mistyped');
    for (const { name, hasDefault } of variablesIn(text))
      if (!hasDefault && environment.secret(name) === undefined) throw wrong(`${name} is not set`);
    return render(text, environment);
  });
  const shape = plainToInstance(ClientShape, filled);
  const errors = validateSync(shape, { whitelist: true, forbidNonWhitelisted: true });
  if (errors.length > 0) throw new ConfigurationError(errors.map((error) => `${where}: ${explain(error)}`));
  const { name, permissions, workload = null, expires_at: expiresAt } = shape;
  return {
    name,
    permissions: permissions.map(({ action, resource }) => ({ action, resource })),
    workload,
    expiresAt: expiresAt ? new Date(expiresAt) : null,
  };
}

/** A workload is one client. */
function refuseTwins(path: string, definitions: readonly ClientDefinition[]): void {
  const seen = new Map<string, string>();
  for (const { name, workload } of definitions) {
    if (!workload) continue;
    const key = JSON.stringify([workload.issuer, workload.subject]);
    const twin = seen.get(key);
    if (twin !== undefined)
      throw new ConfigurationError([`${path}: "${twin}" and "${name}" have the same workload`]);
    seen.set(key, name);
  }
}
