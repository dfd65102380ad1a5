/** A value that is there, or a promise of it where something must be waited for first. */
export type Maybe<T> = T | Promise<T>

/** Passes a value to the next step: at once where it is there, so that a synchronous chain stays synchronous. */
export function after<T, U>(value: Maybe<T>, next: (value: T) => Maybe<U>): Maybe<U> {
  return value instanceof Promise ? value.then(next) : next(value)
}

/** Does work that may have to wait; what it throws, at once or later, goes to `failed`, which gives a value or throws in its place. */
export function orElse<A, T>(argument: A, work: (argument: A) => Maybe<T>, failed: (error: unknown) => T): Maybe<T> {
  try {
    const value = work(argument)
    return value instanceof Promise ? value.catch(failed) : value
  } catch (error) {
    return failed(error)
  }
}
