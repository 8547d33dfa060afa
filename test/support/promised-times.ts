import { jest } from '@jest/globals';

/**
 * For files in which times are promised. Whatever else the machine does can make any one of them longer, so that a test there may
 * try three times: a broker that is slow by itself fails each of them. A try that failed is printed.
 */
export function promiseTimes(): void {
  jest.retryTimes(2, { logErrorsBeforeRetry: true });
}
