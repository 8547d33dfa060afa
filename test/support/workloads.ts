import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach } from '@jest/globals';
import { HttpService } from '@nestjs/axios';
import { Logger } from '@nestjs/common';
import { IssuerDocuments } from '../../src/clients/issuer-documents.js';
import { WorkloadIdentity } from '../../src/clients/workload-identity.js';
import { Environment } from '../../src/config/environment.js';
import { readSettings } from '../../src/config/settings.js';
import { Problem } from '../../src/shared/problem.js';
import type { Certificate } from './certificate.js';
import type { Json } from './http.js';
import { Issuer, type SigningKey } from './issuer.js';
import { findLeaks } from './leaks.js';
import { LEAST } from './providers-reader.js';
import { TestClock } from './test-clock.js';

/** An issuer, whoever believes its workloads, and the time that they live in: new for each test. */
export class Workloads {
  clock!: TestClock;
  issuer!: Issuer;
  identity!: WorkloadIdentity;
  readonly #folder = mkdtempSync(join(tmpdir(), 'token-broker-workloads-'));
  readonly #issuers: Issuer[] = [];
  #count = 0;

  /** @param certificate what the issuer shows; without one it speaks plain HTTP */
  async begin(certificate?: Certificate): Promise<void> {
    this.clock = new TestClock();
    this.issuer = await this.another(certificate);
    this.believe({ WORKLOAD_ISSUERS: this.issuer.url });
  }

  /** An issuer that nobody believes yet. */
  async another(certificate?: Certificate): Promise<Issuer> {
    const issuer = await Issuer.start(certificate);
    this.#issuers.push(issuer);
    return issuer;
  }

  /** From here on those are believed that these variables name. */
  believe(variables: Record<string, string>): void {
    const settings = readSettings(new Environment({ ...LEAST, ...variables }));
    this.identity = new WorkloadIdentity(settings, new IssuerDocuments(new HttpService()), this.clock);
  }

  believeFile(...issuers: Json[]): void {
    this.believe({ WORKLOAD_ISSUERS_FILE: this.file('issuers.yaml', JSON.stringify({ issuers })) });
  }

  file(name: string, content: string): string {
    const path = join(this.#folder, name);
    writeFileSync(path, content);
    return path;
  }

  /** The subject that is believed, false where none is, and the problem where nobody can tell. */
  async verdictOn(token: string): Promise<unknown> {
    try {
      return (await this.identity.verify(token))?.subject ?? false;
    } catch (error) {
      if (error instanceof Problem) return [error.status, error.code, error.extensions.retry_after];
      throw error;
    }
  }

  /** The verdict on a token that nobody has seen yet, and that lives as long as the test. */
  async verdict(key?: SigningKey): Promise<unknown> {
    const exp = Math.floor(this.clock.now().getTime() / 1_000) + 3_600;
    return this.verdictOn(await this.issuer.token({ exp, n: (this.#count += 1) }, {}, key));
  }

  /** The paths that the issuer was asked for since the last look. */
  asked(): string[] {
    return this.issuer.requests.splice(0).map(({ path }) => path);
  }

  async end(): Promise<void> {
    for (const issuer of this.#issuers.splice(0)) await issuer.down();
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

export function useWorkloads(): Workloads {
  const workloads = new Workloads();
  beforeEach(() => workloads.begin());
  afterEach(() => workloads.end());
  afterAll(() => workloads.close());
  return workloads;
}

/** What is logged in a test, which is emptied before each; no token may ever be read there. */
export function useLog(): string[] {
  const lines: string[] = [];
  const all: string[] = [];
  const tell = (line: unknown): void => {
    lines.push(String(line));
    all.push(String(line));
  };
  beforeEach(() => {
    lines.length = 0;
    Logger.overrideLogger({ debug: tell, log: tell, warn: tell, error: tell });
  });
  afterAll(() => {
    const leaks = findLeaks(all);
    if (leaks.length > 0) throw new Error(`secrets in the log:\n${leaks.join('\n')}`);
  });
  return lines;
}
