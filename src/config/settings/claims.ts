import { integer, line, listOf } from '../readers.ts'
import { list, single } from './row.ts'

/** Claims that every token must have, of any issuer. */
export const CLAIMS = {
  tokenType: list(listOf(line(64), 8), {
    default: ['JWT', 'at+jwt'] as readonly string[],
    shownDefault: 'JWT, at+jwt',
    value: 'TYPE',
    help: 'Accepted `typ` of a token. Only `at+jwt` requires access tokens of RFC 9068. Repeatable.',
  }),
  requiredClaim: list(listOf(line(64), 32), {
    default: [] as readonly string[],
    shownDefault: 'none',
    value: 'NAME',
    help: "Claim that tokens of this server's own key must have besides `exp`. Repeatable.",
    isReloadable: true,
  }),
  tokenSecondsMax: single<number | undefined>(integer(1, 31_536_000), {
    default: undefined,
    value: 'SECONDS',
    help: "Longest time from `iat` to `exp` of a token, which must then have both. Applies to the server's own tokens too.",
  }),
}
