import { verify } from 'hono/jwt'
import type { Contestant } from './contestant.ts'

export const hono: Contestant = {
  name: 'hono/jwt',
  note: 'asynchronous; imports its key each time',
  isAsync: true,
  create:
    (algorithm, { verifying }) =>
    (token) =>
      verify(token, verifying, algorithm),
}
