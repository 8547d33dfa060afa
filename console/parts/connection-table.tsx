import type { JSX } from 'preact';
import type { ConnectionAnswer } from '../answers.js';
import { codeWords, companyName } from '../words.js';
import { State, When } from './marks.js';

export function ConnectionTable({ items }: { items: readonly ConnectionAnswer[] }): JSX.Element {
  return (
    <div class="scroll" tabIndex={0} role="group" aria-label="Connections">
      <table>
        <thead>
          <tr>
            <th scope="col">Company</th>
            <th scope="col">Provider</th>
            <th scope="col">State</th>
            <th scope="col">Token ends</th>
            <th scope="col">Next try</th>
            <th scope="col" class="count">
              Version
            </th>
            <th scope="col">Last error</th>
          </tr>
        </thead>
        <tbody>
          {items.map((it) => (
            <tr key={it.id}>
              <th scope="row">
                <a href={`#/connections/${it.id}`}>{companyName(it)}</a>
              </th>
              <td>{it.provider}</td>
              <td>
                <State of={it.status} />
              </td>
              <td>
                <When at={it.expires_at} none={it.token_version > 0 ? 'never' : '–'} />
              </td>
              <td>
                <When at={it.next_try_at} />
              </td>
              <td class="count">{it.token_version}</td>
              <td>{it.last_error === null ? <span class="faint">–</span> : codeWords(it.last_error)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
