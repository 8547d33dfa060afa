import { ROUTE_ARGS_METADATA } from '@nestjs/common/constants.js';

/** What a handler takes from its request, each as the type that TypeScript has told of the parameter. */
export interface RouteArguments {
  /** Undefined where it takes no body at all. */
  readonly body: unknown;
  readonly query: unknown;
}

/** Nest's numbers for `@Body()` and `@Query()`, which it does not export. */
const KINDS = { body: 3, query: 4 } as const;

/** What the parameters of a controller's method say. */
export function argumentsOf(
  controller: { readonly prototype: object; readonly name: string },
  method: string,
): RouteArguments {
  const types = (Reflect.getMetadata('design:paramtypes', controller.prototype, method) ?? []) as unknown[];
  const notes = Reflect.getMetadata(ROUTE_ARGS_METADATA, controller, method) as
    Record<string, { index: number }> | undefined;
  const typeOf = (kind: number): unknown => {
    const note = Object.entries(notes ?? {}).find(([key]) => key.startsWith(`${kind}:`));
    return note && types[note[1].index];
  };
  return { body: typeOf(KINDS.body), query: typeOf(KINDS.query) };
}
