import { SetMetadata } from '@nestjs/common';
import type { ProblemCode } from '../shared/problem.js';
import { list, nullable, text, type Schema, type Shape } from '../shared/schema.js';

/**
 * What the API's description is made of: notes that routes and shapes carry, and nothing that runs. `docs/` alone reads
 * them, when somebody asks for the description.
 */
export const ANSWERS = 'description:answers';
export const READS = 'description:reads';

/** A success that is no JSON object of ours. */
export interface Media {
  readonly media: string;
  readonly example?: string;
}

/** A page of a list. */
export interface PageOf {
  readonly itemsOf: Shape;
}

/** A success without a body. */
export const NOTHING = 'nothing';

/** A browser is sent on, or shown a page. */
export const SENDS_BROWSER = 'sends-browser';

export type Success = Shape | PageOf | Media | typeof NOTHING | typeof SENDS_BROWSER;

export interface Answering {
  readonly summary: string;
  readonly success: Success;
  readonly problems: readonly ProblemCode[];
}

export interface Reading {
  readonly query?: Shape;
  readonly body?: Shape | typeof OFFER;
}

/**
 * What a route is for, and what it answers. `problems` are those of its own: what every route under `/v1` may answer, or
 * every route with such a path or body, is known without.
 */
export const Answers = (summary: string, success: Success, ...problems: ProblemCode[]): MethodDecorator =>
  SetMetadata(ANSWERS, { summary, success, problems } satisfies Answering);

/** What a route reads that the types of its parameters do not tell. */
export const Reads = (reading: Reading): MethodDecorator => SetMetadata(READS, reading);

/** A list's page, whatever is in it. */
export function pageSchema({ itemsOf }: PageOf): Schema {
  return {
    type: 'object',
    required: ['items', 'next_cursor'],
    properties: {
      items: list(itemsOf),
      next_cursor: {
        ...nullable(text(''), true),
        description: 'For `cursor`, to read on; null at the end.',
      },
    },
  };
}

/** The body that keeps a credential: each kind of provider has its own, in a folder of its own. */
export const OFFER = 'offer';

const offers = new Map<Shape, string>();

/** This shape is what one kind of provider takes as a credential. */
export const OfferedTo =
  (whom: string): ClassDecorator =>
  (shape) => {
    offers.set(shape as unknown as Shape, whom);
  };

/** Every body that keeps a credential, and to whom it is offered. */
export function listOffers(): ReadonlyMap<Shape, string> {
  return offers;
}
