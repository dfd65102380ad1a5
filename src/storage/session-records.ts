import { desc, eq, lt, or } from 'drizzle-orm'
import type { RefreshTokenRecord, Session } from '../accounts/records.ts'
import type { Records } from '../accounts/store.ts'
import { locked, type Source } from './query.ts'

/** Sessions, and the hashes of their refresh tokens. */
export function sessionRecords({ database, tables }: Source) {
  const { sessions, refreshTokens } = tables
  return {
    lockSession: async (id: string): Promise<Session | undefined> =>
      (await locked(database.select().from(sessions).where(eq(sessions.id, id))))[0],
    sessionsOf: (accountId: string): Promise<readonly Session[]> =>
      database.select().from(sessions).where(eq(sessions.accountId, accountId)).orderBy(desc(sessions.refreshedAt), sessions.id),
    async insertSession(session: Session) {
      await database.insert(sessions).values(session)
    },
    async updateSession(id: string, changes: Parameters<Records['updateSession']>[1]) {
      await database.update(sessions).set(changes).where(eq(sessions.id, id))
    },
    async deleteSession(id: string) {
      await database.delete(sessions).where(eq(sessions.id, id))
    },
    refreshToken: async (hash: string): Promise<RefreshTokenRecord | undefined> =>
      (await database.select().from(refreshTokens).where(eq(refreshTokens.hash, hash)))[0],
    async insertRefreshToken(hash: string, token: RefreshTokenRecord) {
      await database.insert(refreshTokens).values({ hash, ...token })
    },
    async pruneSessions(expiredBefore: number, idleSince: number) {
      await database.delete(sessions).where(or(lt(sessions.expiresAt, expiredBefore), lt(sessions.refreshedAt, idleSince)))
    },
  } satisfies Partial<Records>
}
