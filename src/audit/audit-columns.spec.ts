import { expect, it } from '@jest/globals';
import { answerEvent } from './audit-answer.js';
import { columnsOf } from './audit-columns.js';

it.each([
  ['10.0.0.7', '10.0.0.7'],
  ['2001:db8::7', '2001:db8::7'],
  ['fe80::7%eth0', 'fe80::7'],
  ['unknown', null],
  ["'; drop table", null],
  ['', null],
  [null, null],
])('where it came from is an address, in the trail and in lines of it: %s', (sourceIp, told) => {
  const actor = { id: 'one', keyId: null, sourceIp, requestId: null };
  const columns = columnsOf({ actor, action: 'token:read', outcome: 'allowed', resource: '**' }, 'id', 0);
  expect([columns.source_ip, answerEvent(columns).source_ip]).toEqual([told, told]);
});
