import { expect, it } from '@jest/globals';
import { ID_IN_PATH, isId } from './ids.js';

const between = new RegExp(`^/(${ID_IN_PATH})/more$`);
const atTheEnd = new RegExp(`^/(${ID_IN_PATH})(?:\\?.*)?$`);

it.each(['42', 'a.b-c_D', 'x'.repeat(64), '...', '.a', '..a', '-'])('%s is an id, also in a path', (id) => {
  expect(isId(id)).toBe(true);
  expect([
    between.exec(`/${id}/more`)?.[1],
    atTheEnd.exec(`/${id}`)?.[1],
    atTheEnd.exec(`/${id}?q`)?.[1],
  ]).toEqual([id, id, id]);
});

it.each(['', '.', '..', 'x'.repeat(65), 'a b', 'a%2F', 'ü', '42\n', '*', 'a/b'])(
  '%j is none, nor in a path',
  (text) => {
    expect(isId(text)).toBe(false);
    for (const path of [`/${text}/more`, `/${text}/more/more`]) expect(between.test(path)).toBe(false);
    for (const path of [`/${text}`, `/${text}?q`]) expect(atTheEnd.test(path)).toBe(false);
  },
);
