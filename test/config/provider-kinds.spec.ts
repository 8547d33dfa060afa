import { describe, expect, it } from '@jest/globals';
import type { Json } from '../support/http.js';
import { mistakes, useProvidersReader } from '../support/providers-reader.js';

const reader = useProvidersReader();

describe('a seller portal', () => {
  const PORTAL = { kind: 'portal' };
  const portal = (written: Json): unknown => reader.read({ portal: { ...PORTAL, ...written } }).providers[0];
  const wrong = (written: Json): readonly string[] => mistakes(() => portal(written));

  it('may say where its tokens are good, in which header they go, and how often they are to be replaced', () => {
    expect(
      portal({ base_url: 'https://p.example/', rotate_after: '30d', header: { name: 'X-Token' } }),
    ).toMatchObject({
      kind: 'portal',
      baseUrl: 'https://p.example',
      rotateAfterSeconds: 30 * 86_400,
      header: { name: 'X-Token', scheme: '' },
    });
  });

  it('cannot be an address that shows tokens on the way, or have settings of another kind', () => {
    expect(wrong({ base_url: 'http://p.example' })).toEqual([
      expect.stringMatching(/^provider "portal": base_url is plain http/),
    ]);
    expect(wrong({ base_url: 'https://10.0.0.1' })).toEqual([
      expect.stringMatching(/base_url is a private address/),
    ]);
    expect(wrong({ client_id: 'x' })).toEqual(['provider "portal": client_id is no setting of this kind']);
    expect(wrong({ rotate_after: '0d' })).toEqual([
      'provider "portal": rotate_after must lie between 1d and 3650d',
    ]);
  });
});

describe('Fynd Platform', () => {
  const FYND = {
    kind: 'fynd-platform',
    base_url: 'https://f.example',
    api_key: 'k',
    api_secret: 'test-secret',
  };
  const fynd = (written: Json): unknown => reader.read({ fynd: { ...FYND, ...written } }).providers[0];
  const wrong = (written: Json): readonly string[] => mistakes(() => fynd(written));
  const ui_url = 'https://ui.example';

  it('holds tokens of companies, of users, or of both', () => {
    for (const access_mode of ['offline', 'online', 'both'])
      expect(fynd({ access_mode, ui_url })).toMatchObject({ accessMode: access_mode });
    expect(fynd({ auto_install: true })).toMatchObject({ accessMode: 'offline', autoInstall: true });
    expect(fynd({ access_mode: 'both', auto_install: true, ui_url })).toMatchObject({ autoInstall: true });
  });

  it('hands users over to a page of the extension, and installs by itself only what a company has', () => {
    const NEEDS_UI = "needs ui_url: a user's session is handed over there";
    for (const access_mode of ['online', 'both'])
      expect(wrong({ access_mode })).toEqual([`provider "fynd": access_mode: ${access_mode} ${NEEDS_UI}`]);
    expect(wrong({ access_mode: 'online', auto_install: true, ui_url })).toEqual([
      'provider "fynd": auto_install needs access_mode offline or both: nobody is there to have a session',
    ]);
    expect(wrong({ access_mode: 'always' })).toEqual([
      'provider "fynd": access_mode must be one of the following values: offline, online, both',
    ]);
  });
});
