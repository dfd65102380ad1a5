import { line, listOf, seconds } from '../readers.ts'
import { list, optional } from './row.ts'

/** Claims that every token must have, of any issuer. */
export const CLAIMS = {
  tokenType: list(listOf(line(64), 8), ['JWT', 'at+jwt'], {
    shownDefault: 'JWT, at+jwt',
    value: 'TYPE',
    help: 'Accepted `typ` of a token. Only `at+jwt` requires access tokens of RFC 9068. Repeatable.',
  }),
  requiredClaim: list(listOf(line(64), 32), [], {
    value: 'NAME',
    help: "Claim that tokens of this server's own key must have besides `exp`. Repeatable.",
    isReloadable: true,
  }),
  tokenSecondsMax: optional(seconds(1, 31_536_000), {
    help: "Longest time from `iat` to `exp` of a token, which must then have both. Applies to the server's own tokens too.",
  }),
}
