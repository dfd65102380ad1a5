/** What was waited for did not come in time. */
export class Late extends Error {
  override readonly name = 'Late'
}

/** The result, or a failure after that time; the work itself continues. */
export async function inTime<T>(work: Promise<T>, timeoutMs: number, message: string): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Late(message)), timeoutMs)
  try {
    return await Promise.race([work, promise])
  } finally {
    clearTimeout(timer)
  }
}
