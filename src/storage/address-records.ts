import { and, desc, eq, gte, lt } from 'drizzle-orm'
import type { Records } from '../accounts/store.ts'
import type { Source } from './query.ts'

/** Where accounts have signed in from. */
export function addressRecords({ database, tables: { knownAddresses: known } }: Source) {
  const of = (accountId: string, subnet: string) => and(eq(known.accountId, accountId), eq(known.subnet, subnet))
  return {
    isKnownAddress: async (accountId: string, subnet: string, since: number) =>
      (
        await database
          .select({ at: known.lastAt })
          .from(known)
          .where(and(of(accountId, subnet), gte(known.lastAt, since)))
      ).length > 0,
    async putKnownAddress(accountId: string, subnet: string, at: number, addressesMax: number) {
      await database
        .insert(known)
        .values({ accountId, subnet, lastAt: at })
        .onConflictDoUpdate({ target: [known.accountId, known.subnet], set: { lastAt: at } })
      const all = await database
        .select()
        .from(known)
        .where(eq(known.accountId, accountId))
        .orderBy(desc(known.lastAt), known.subnet)
      for (const old of all.slice(addressesMax)) await database.delete(known).where(of(accountId, old.subnet))
    },
    async forgetAddresses(accountId: string) {
      await database.delete(known).where(eq(known.accountId, accountId))
    },
    async pruneAddresses(before: number) {
      await database.delete(known).where(lt(known.lastAt, before))
    },
  } satisfies Partial<Records>
}
