import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ask, eventually, freePort } from '../support/http.js';
import { Image, packagesOfTheService } from '../support/image.js';
import { useWorld } from '../support/world.js';

describe('the image, as its own commands make it', () => {
  const world = useWorld();
  const folder = mkdtempSync(join(tmpdir(), 'image-'));
  const image = new Image('Dockerfile', folder);

  beforeAll(() => image.lay({ dropped: /^dist\/(simulator|bench)$/, sbom: '{}' }), 300_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('has the packages that the lock file says, which the shorter test relies on', () => {
    const { packages } = JSON.parse(
      readFileSync(join(image.app, 'node_modules/.package-lock.json'), 'utf8'),
    ) as { packages: Record<string, object> };
    expect(Object.keys(packages).sort()).toEqual(packagesOfTheService().sort());
    expect(Object.keys(packages).length).toBeGreaterThan(100);
  });

  it('starts and serves', async () => {
    const ports = { PORT: 'off', PUBLIC_PORT: String(await freePort()), OPS_PORT: String(await freePort()) };
    const broker = image.run({ ...world.environment(), ...ports });
    await eventually(() => broker.output().includes('listening: '));
    expect((await ask('GET', `http://127.0.0.1:${ports.OPS_PORT}/health/ready`)).status).toBe(200);
    broker.child.kill('SIGTERM');
    expect((await broker.ended()).code).toBe(0);
  });
});
