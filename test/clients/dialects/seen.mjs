// @ts-nocheck: Node runs this as it is.
// What each script of this folder needs: where the server is, its tokens, and what a client made of a failure.
export const { BASE, BUSY, TOKEN, OTHER } = process.env
export const WRONG = 'a.b.c'

/** The class of what is thrown, and its text. */
export async function failure(work) {
  try {
    return ['no failure', JSON.stringify(await work()).slice(0, 200)]
  } catch (error) {
    return [error.constructor.name, error.message]
  }
}

export function tell(seen) {
  console.log(JSON.stringify(seen))
}
