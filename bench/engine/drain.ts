export const benchDrain = (): Promise<never[]> => Promise.resolve([]);
