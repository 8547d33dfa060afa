import type { ComponentChildren, JSX } from 'preact';
import { useId, useState } from 'preact/hooks';
import { Refusal } from '../api.js';

interface FieldProps {
  readonly label: string;
  readonly name: string;
  readonly hint?: string;
  readonly refusal?: Refusal | undefined;
}

/** A field with its label, what it is for, and what the API found wrong with it. */
export function Field({
  label,
  name,
  hint,
  refusal,
  ...input
}: FieldProps & JSX.IntrinsicElements['input']): JSX.Element {
  const id = useId();
  const fault = refusal?.fields[name];
  const described = [hint && `${id}-hint`, fault && `${id}-fault`].filter(Boolean).join(' ') || undefined;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        id={id}
        name={name}
        autocomplete="off"
        spellcheck={false}
        aria-invalid={fault ? true : undefined}
        aria-describedby={described}
        {...input}
      />
      {hint && (
        <small id={`${id}-hint`} class="hint">
          {hint}
        </small>
      )}
      {fault && (
        <small id={`${id}-fault`} class="fault">
          {label} {fault}
        </small>
      )}
    </div>
  );
}

export function Choice({
  label,
  name,
  children,
  ...select
}: {
  label: string;
  name: string;
  children: ComponentChildren;
} & JSX.IntrinsicElements['select']): JSX.Element {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select id={id} name={name} {...select}>
        {children}
      </select>
    </div>
  );
}

export function Tick({ label, name }: { label: string; name: string }): JSX.Element {
  return (
    <label class="tick">
      <input type="checkbox" name={name} /> {label}
    </label>
  );
}

/** What was typed into a form, by name, without what surrounds it. */
export function valuesOf(form: HTMLFormElement): Record<string, string> {
  const values = [...new FormData(form)].map(([name, value]) => [
    name,
    typeof value === 'string' ? value.trim() : '',
  ]);
  return Object.fromEntries(values) as Record<string, string>;
}

export interface Doing {
  readonly isBusy: boolean;
  readonly refusal: Refusal | undefined;
  /** Does something, one at a time; what it was refused with is `refusal` then. True where it was done. */
  readonly run: (work: () => Promise<void>) => Promise<boolean>;
}

export function useDoing(): Doing {
  const [isBusy, setBusy] = useState(false);
  const [refusal, setRefusal] = useState<Refusal>();
  const run = async (work: () => Promise<void>): Promise<boolean> => {
    setBusy(true);
    setRefusal(undefined);
    try {
      await work();
      return true;
    } catch (error) {
      setRefusal(
        error instanceof Refusal
          ? error
          : new Refusal(0, 'broken', {}, 'The console met something unexpected.'),
      );
      return false;
    } finally {
      setBusy(false);
    }
  };
  return { isBusy, refusal, run };
}
