import { createVerifier } from 'fast-jwt'
import type { Contestant } from './contestant.ts'

export const fastJwt: Contestant = {
  name: 'fast-jwt',
  note: 'its cache is off',
  isAsync: false,
  create: (algorithm, { verifying }) => createVerifier({ key: verifying, algorithms: [algorithm], cache: false }),
}
