import { and, asc, desc, eq, gt, gte, lt, or, sql } from 'drizzle-orm'
import type { ApiKey, AuditRecord, Revocation } from '../accounts/records.ts'
import type { AuditFilter, Page, Records } from '../accounts/store.ts'
import { listIn, listText, locked, type Source } from './query.ts'
import type { Tables } from './schema.ts'

/** Keys of programs. */
export function apiKeyRecords({ database, tables: { apiKeys } }: Source) {
  const read = async (rows: PromiseLike<readonly Tables['apiKeys']['$inferSelect'][]>): Promise<readonly ApiKey[]> =>
    (await rows).map((row) => ({ ...row, permissions: listIn(row.permissions) }))
  return {
    apiKeys: ({ after, limit }: Page) =>
      read(
        database
          .select()
          .from(apiKeys)
          .where(after === undefined ? undefined : gt(apiKeys.id, after))
          .orderBy(asc(apiKeys.id))
          .limit(limit),
      ),
    lockApiKey: async (id: string) => (await read(locked(database.select().from(apiKeys).where(eq(apiKeys.id, id)))))[0],
    countApiKeys: () => database.$count(apiKeys),
    async insertApiKey(key: ApiKey) {
      await database.insert(apiKeys).values({ ...key, permissions: listText(key.permissions) })
    },
    async updateApiKey(id: string, { permissions, ...changes }: Parameters<Records['updateApiKey']>[1]) {
      const row = { ...changes, ...(permissions !== undefined && { permissions: listText(permissions) }) }
      await database.update(apiKeys).set(row).where(eq(apiKeys.id, id))
    },
    async touchApiKey(id: string, lastUsedAt: number) {
      await database.update(apiKeys).set({ lastUsedAt }).where(eq(apiKeys.id, id))
    },
  } satisfies Partial<Records>
}

/** What must no longer be accepted. */
export function revocationRecords({ database, tables: { revocations } }: Source) {
  return {
    async putRevocation(revocation: Revocation) {
      const { kind, value, ...changes } = revocation
      await database
        .insert(revocations)
        .values({ kind, value, ...changes })
        .onConflictDoUpdate({
          target: [revocations.kind, revocations.value],
          // Never for less long than it was: two tokens may have one id.
          set: {
            ...changes,
            until: sql`case when ${revocations.until} > excluded.until then ${revocations.until} else excluded.until end`,
          },
        })
    },
    // The cast: only `putRevocation` writes the kind.
    revocationsSince: async (createdAt: number) =>
      (await database.select().from(revocations).where(gte(revocations.createdAt, createdAt))) as readonly Revocation[],
    async pruneRevocations(untilBefore: number) {
      await database.delete(revocations).where(lt(revocations.until, untilBefore))
    },
  } satisfies Partial<Records>
}

/** The audit log, where a setting keeps it in the database. */
export function auditRecords({ database, tables: { audit } }: Source) {
  return {
    async insertAudit(record: AuditRecord) {
      await database.insert(audit).values(record)
    },
    audit: ({ since, until, before }: AuditFilter, limit: number): Promise<readonly AuditRecord[]> =>
      database
        .select()
        .from(audit)
        .where(
          and(
            gte(audit.at, since),
            ...(until === undefined ? [] : [lt(audit.at, until)]),
            ...(before === undefined ? [] : [or(lt(audit.at, before.at), and(eq(audit.at, before.at), lt(audit.id, before.id)))]),
          ),
        )
        .orderBy(desc(audit.at), desc(audit.id))
        .limit(limit),
    async pruneAudit(before: number) {
      await database.delete(audit).where(lt(audit.at, before))
    },
  } satisfies Partial<Records>
}
