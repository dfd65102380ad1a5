import { dictionary } from '@zxcvbn-ts/language-common'

let common: ReadonlySet<string> | undefined

/** True for a password that attackers try first: one of some 18 000 of eight characters or more, whatever its capitals. Read at the first question. */
export function isCommonPassword(password: string): boolean {
  common ??= new Set(commonPasswords())
  return common.has(password.toLowerCase())
}

/** The list, most used first: those of @zxcvbn-ts/language-common (MIT) that are long enough to be allowed at all. */
export function commonPasswords(): readonly string[] {
  return dictionary['passwords-common'].filter((password) => password.length >= 8)
}
