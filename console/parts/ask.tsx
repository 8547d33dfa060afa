import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import { Refused } from './notice.js';
import { useDoing } from './form.js';

interface AskProps {
  readonly title: string;
  /** What is done if the answer is yes, as a button says it. */
  readonly yes: string;
  readonly children: ComponentChildren;
  readonly onYes: () => Promise<void>;
  readonly onClose: () => void;
}

/** Asks before something is done that nobody can take back. */
export function Ask({ title, yes, children, onYes, onClose }: AskProps): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  const { isBusy, refusal, run } = useDoing();
  useEffect(() => dialog.current?.showModal(), []);
  const agree = async (): Promise<void> => {
    if (await run(onYes)) onClose();
  };
  return (
    <dialog ref={dialog} aria-labelledby={id} onClose={onClose}>
      <h2 id={id}>{title}</h2>
      {children}
      <Refused refusal={refusal} />
      <div class="actions">
        <button type="button" onClick={() => dialog.current?.close()}>
          Leave it
        </button>
        <button type="button" class="danger" disabled={isBusy} onClick={() => void agree()}>
          {yes}
        </button>
      </div>
    </dialog>
  );
}
