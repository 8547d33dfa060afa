import type { JSX } from 'preact';
import { AddPage } from './pages/add.js';
import { AuditPage } from './pages/audit.js';
import { CallersPage } from './pages/callers.js';
import { ConnectionPage } from './pages/connection.js';
import { ConnectionsPage } from './pages/connections.js';
import { KeysPage } from './pages/keys.js';
import { OverviewPage } from './pages/overview.js';
import type { Session } from './session.js';

export interface ConsolePage {
  /** The first part of its address. */
  readonly name: string;
  readonly title: string;
  readonly isPermitted: (session: Session) => boolean;
  readonly show: (rest: readonly string[], filters: Readonly<Record<string, string>>) => JSX.Element;
}

const PAGES: readonly ConsolePage[] = [
  {
    name: 'overview',
    title: 'Overview',
    isPermitted: (session) => session.may('connection:read'),
    show: () => <OverviewPage />,
  },
  {
    name: 'connections',
    title: 'Connections',
    isPermitted: (session) => session.maySome('connection:read'),
    show: ([id], filters) =>
      id === undefined ? <ConnectionsPage filters={filters} /> : <ConnectionPage key={id} id={id} />,
  },
  {
    name: 'connect',
    title: 'Connect',
    isPermitted: (session) => session.maySome('connection:write'),
    show: (_, filters) => <AddPage filters={filters} />,
  },
  {
    name: 'callers',
    title: 'Callers',
    isPermitted: (session) => session.may('client:admin'),
    show: () => <CallersPage />,
  },
  {
    name: 'audit',
    title: 'Audit',
    isPermitted: (session) => session.may('audit:read'),
    show: ([view], filters) => <AuditPage view={view} filters={filters} />,
  },
  {
    name: 'keys',
    title: 'Keys',
    isPermitted: (session) => session.may('key:admin'),
    show: () => <KeysPage />,
  },
];

/** What somebody may see; what they may do there is asked on the page. */
export function pagesFor(session: Session): readonly ConsolePage[] {
  return PAGES.filter(({ isPermitted }) => isPermitted(session));
}
