import process from 'node:process';

/** The other side of a Companion: a program that answers each message with one, and ends with whoever started it. */
export function answerWith<Question, Answer>(work: (question: Question) => Promise<Answer>): void {
  process.on('message', (question: Question) => {
    void work(question).then((answer) => process.send?.(answer));
  });
  process.once('disconnect', () => process.exit());
}
