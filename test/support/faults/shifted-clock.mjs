/** Loaded before a program (`node --import`): its wall clock is wrong by SHIFT_CLOCK_S seconds. */
const shiftMs = Number(process.env.SHIFT_CLOCK_S ?? 0) * 1_000;
const RealDate = Date;

globalThis.Date = class extends RealDate {
  constructor(...given) {
    if (given.length === 0) super(RealDate.now() + shiftMs);
    else super(...given);
  }

  static now() {
    return RealDate.now() + shiftMs;
  }
};
