import { BlockList, isIPv6 } from 'node:net';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { type Manifest, render, VALUE_SETS } from '../support/helm.js';
import { ofKind } from '../support/manifests.js';

type Labels = Readonly<Record<string, string>>;

interface Selector {
  readonly matchLabels?: Labels;
}

interface Peer {
  readonly namespaceSelector?: Selector;
  readonly podSelector?: Selector;
  readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] };
}

interface Rule {
  readonly from?: readonly Peer[];
  readonly to?: readonly Peer[];
  readonly ports?: readonly { readonly protocol: string; readonly port: number }[];
}

interface PolicySpec {
  readonly podSelector: Selector;
  readonly policyTypes: readonly string[];
  readonly ingress?: readonly Rule[];
  readonly egress?: readonly Rule[];
}

/** Somebody else: a pod by the labels of its namespace and its own, or an address. */
type Other = { readonly namespace: Labels; readonly pod?: Labels } | { readonly address: string };

const INTERNAL = 8080;
const PUBLIC = 8081;
const OPS = 9090;

const name = (text: string): Labels => ({ 'kubernetes.io/metadata.name': text });
const HOME = name('fynd');
const caller = { namespace: { ...name('shop'), 'token-broker/access': 'true' } };
const stranger = { namespace: name('shop') };
const prometheus = { namespace: name('monitoring') };
const ingress = { namespace: name('ingress-nginx') };
const dns = { namespace: name('kube-system') };

/** Judges as Kubernetes does: what any rule of any policy for the pod allows, and all where no policy is for the pod. */
class Network {
  readonly #policies: readonly PolicySpec[];

  constructor(all: readonly Manifest[]) {
    this.#policies = ofKind(all, 'NetworkPolicy').map(({ spec }) => spec as PolicySpec);
  }

  lets(
    component: string,
    direction: 'Ingress' | 'Egress',
    other: Other,
    port: number,
    protocol = 'TCP',
  ): boolean {
    const policies = this.#policies.filter(
      ({ podSelector, policyTypes }) =>
        matches(podSelector, podLabels(component)) && policyTypes.includes(direction),
    );
    if (policies.length === 0) return true;
    const rules = policies.flatMap((it) => (direction === 'Ingress' ? it.ingress : it.egress) ?? []);
    return rules.some(({ from, to, ports }) => {
      const peers = direction === 'Ingress' ? from : to;
      const isPort = !ports || ports.some((it) => it.port === port && it.protocol === protocol);
      return isPort && (!peers || peers.some((peer) => isOne(peer, other)));
    });
  }
}

function podLabels(component: string): Labels {
  return {
    'app.kubernetes.io/name': 'token-broker',
    'app.kubernetes.io/instance': 'broker',
    'app.kubernetes.io/component': component,
  };
}

function matches({ matchLabels = {} }: Selector, labels: Labels): boolean {
  return Object.entries(matchLabels).every(([key, value]) => labels[key] === value);
}

function isOne({ namespaceSelector, podSelector, ipBlock }: Peer, other: Other): boolean {
  if ('address' in other) return ipBlock !== undefined && isIn(ipBlock, other.address);
  if (ipBlock) return false;
  const isThere = namespaceSelector
    ? matches(namespaceSelector, other.namespace)
    : matches({ matchLabels: HOME }, other.namespace);
  return isThere && (!podSelector || matches(podSelector, other.pod ?? {}));
}

function isIn({ cidr, except = [] }: NonNullable<Peer['ipBlock']>, address: string): boolean {
  // A BlockList would find an IPv4 address within ::/0, too.
  if (isIPv6(address) !== cidr.includes(':')) return false;
  const [inside, outside] = [new BlockList(), new BlockList()];
  const add = (list: BlockList, network: string): void => {
    const [start = '', prefix] = network.split('/');
    list.addSubnet(start, Number(prefix), isIPv6(start) ? 'ipv6' : 'ipv4');
  };
  add(inside, cidr);
  except.forEach((network) => add(outside, network));
  const family = isIPv6(address) ? 'ipv6' : 'ipv4';
  return inside.check(address, family) && !outside.check(address, family);
}

describe('the network around the broker', () => {
  let network: Network;

  beforeAll(async () => {
    network = new Network(await render());
  });

  it('lets only namespaces with the label reach the API', () => {
    expect(network.lets('broker', 'Ingress', caller, INTERNAL)).toBe(true);
    for (const other of [stranger, prometheus, ingress, dns, { namespace: HOME }, { address: '203.0.113.7' }])
      expect([other, network.lets('broker', 'Ingress', other, INTERNAL)]).toEqual([other, false]);
  });

  it('lets monitoring reach health and metrics, and nothing else', () => {
    expect(
      [INTERNAL, PUBLIC, OPS].map((port) => network.lets('broker', 'Ingress', prometheus, port)),
    ).toEqual([false, false, true]);
    for (const other of [stranger, caller, ingress, { address: '203.0.113.7' }])
      expect([other, network.lets('broker', 'Ingress', other, OPS)]).toEqual([other, false]);
  });

  it('lets the ingress controller reach the public port, and nothing else', () => {
    expect([INTERNAL, PUBLIC, OPS].map((port) => network.lets('broker', 'Ingress', ingress, port))).toEqual([
      false,
      true,
      false,
    ]);
    for (const other of [stranger, caller, prometheus])
      expect([other, network.lets('broker', 'Ingress', other, PUBLIC)]).toEqual([other, false]);
  });

  it('lets the broker out to names, its database and providers, not to what lies around it', () => {
    const out = (other: Other, port: number, protocol?: string): boolean =>
      network.lets('broker', 'Egress', other, port, protocol);
    expect([out(dns, 53, 'UDP'), out(dns, 53), out(stranger, 53, 'UDP')]).toEqual([true, true, false]);
    expect([out({ address: '10.1.2.3' }, 5432), out({ address: '10.1.2.3' }, 5433)]).toEqual([true, false]);
    expect([out({ address: '203.0.113.7' }, 443), out({ address: '203.0.113.7' }, 80)]).toEqual([
      true,
      false,
    ]);
    expect([out({ address: '2606:4700::1111' }, 443), out({ address: 'fd00::1' }, 443)]).toEqual([
      true,
      false,
    ]);
    for (const address of ['10.1.2.3', '172.20.0.1', '192.168.1.1', '169.254.169.254', '100.64.0.1'])
      expect([address, out({ address }, 443)]).toEqual([address, false]);
    for (const other of [stranger, caller]) expect(out(other, 443)).toBe(false);
  });

  it('lets the pod of `helm test` ask what it asks, and nobody ask that pod', () => {
    const test = { namespace: HOME, pod: podLabels('test') };
    const broker = { namespace: HOME, pod: podLabels('broker') };
    for (const [port, isOpen] of [
      [OPS, true],
      [PUBLIC, true],
      [INTERNAL, false],
    ] as const)
      expect([
        port,
        network.lets('broker', 'Ingress', test, port),
        network.lets('test', 'Egress', broker, port),
      ]).toEqual([port, isOpen, isOpen]);
    expect(network.lets('test', 'Egress', dns, 53, 'UDP')).toBe(true);
    for (const other of [stranger, caller, prometheus])
      expect(network.lets('test', 'Ingress', other, 80)).toBe(false);
    expect(network.lets('test', 'Egress', { address: '203.0.113.7' }, 443)).toBe(false);
  });

  it('keeps a public side of its own from callers, and the other from browsers', async () => {
    const apart = new Network(await render(`${VALUE_SETS}/separate-public.yaml`));
    expect([INTERNAL, PUBLIC, OPS].map((port) => apart.lets('public', 'Ingress', ingress, port))).toEqual([
      false,
      true,
      false,
    ]);
    expect([INTERNAL, PUBLIC, OPS].map((port) => apart.lets('public', 'Ingress', caller, port))).toEqual([
      false,
      false,
      false,
    ]);
    expect([INTERNAL, PUBLIC, OPS].map((port) => apart.lets('broker', 'Ingress', ingress, port))).toEqual([
      false,
      false,
      false,
    ]);
    expect(apart.lets('broker', 'Ingress', caller, INTERNAL)).toBe(true);
    expect(apart.lets('public', 'Egress', { address: '10.1.2.3' }, 5432)).toBe(true);
  });

  it('is as narrow as the values say', async () => {
    const narrow = new Network(await render(`${VALUE_SETS}/everything.yaml`));
    const lets = (other: Other, port: number): boolean => narrow.lets('broker', 'Ingress', other, port);
    const team = { team: 'integrations' };
    expect(lets({ namespace: team, pod: { 'token-broker': 'caller' } }, INTERNAL)).toBe(true);
    expect(lets({ namespace: team }, INTERNAL)).toBe(false);
    expect(lets(caller, INTERNAL)).toBe(false);
    const out = (address: string, port: number): boolean =>
      narrow.lets('broker', 'Egress', { address }, port);
    expect([
      out('10.20.1.1', 6432),
      out('10.21.1.1', 5432),
      out('203.0.113.7', 8443),
      out('198.51.100.7', 443),
    ]).toEqual([true, false, true, false]);
    expect(narrow.lets('migration', 'Egress', { address: '10.20.1.1' }, 5432)).toBe(true);
    expect(narrow.lets('migration', 'Egress', { address: '203.0.113.7' }, 443)).toBe(false);
  });
});
