/** Asks the database a question that has one number for an answer. */
export type CountRows = (sql: string) => Promise<number>

const orphans = (child: string, column: string, parent: string, key: string) =>
  `SELECT count(*) AS n FROM ${child} WHERE NOT EXISTS (SELECT 1 FROM ${parent} WHERE ${parent}.${key} = ${child}.${column})`
const where = (table: string, condition: string) => `SELECT count(*) AS n FROM ${table} WHERE ${condition}`

/** What must not be, each with a question in SQL that both databases take. Constraints keep most of it out, where they are there. */
const FAULTS: Readonly<Record<string, string>> = {
  'roles are held by accounts that are not there': orphans('account_roles', 'account_id', 'accounts', 'id'),
  'accounts hold roles that are not there': orphans('account_roles', 'role', 'roles', 'name'),
  'sessions are of accounts that are not there': orphans('sessions', 'account_id', 'accounts', 'id'),
  'refresh tokens are of sessions that are not there': orphans('refresh_tokens', 'session_id', 'sessions', 'id'),
  'addresses are of accounts that are not there': orphans('known_addresses', 'account_id', 'accounts', 'id'),
  'names are those of several accounts':
    'SELECT count(*) AS n FROM (SELECT lower(name) FROM accounts GROUP BY lower(name) HAVING count(*) > 1) AS names',
  'accounts have a password for once that is gone': where('accounts', 'is_password_once = 1 AND password_hash IS NULL'),
  'accounts have a password that no sign-in could check': where(
    'accounts',
    "password_hash IS NOT NULL AND password_hash NOT LIKE '$argon2%' AND password_hash NOT LIKE '$2%'",
  ),
  'accounts have permissions that are no list': where('accounts', "permissions NOT LIKE '[%]'"),
  'roles have permissions that are no list': where('roles', "permissions NOT LIKE '[%]'"),
  'sessions lack the refresh token of their generation': where(
    'sessions',
    `generation > 0 AND NOT EXISTS (SELECT 1 FROM refresh_tokens
      WHERE refresh_tokens.session_id = sessions.id AND refresh_tokens.generation = sessions.generation)`,
  ),
  'sessions have refresh tokens of generations to come': where(
    'sessions',
    `EXISTS (SELECT 1 FROM refresh_tokens
      WHERE refresh_tokens.session_id = sessions.id AND refresh_tokens.generation > sessions.generation)`,
  ),
}

/** What is allowed, and rarely intended. */
const NOTES: Readonly<Record<string, string>> = {
  'enabled accounts have no password and no session: nobody can be signed in as them': where(
    'accounts',
    'disabled_at IS NULL AND password_hash IS NULL AND NOT EXISTS (SELECT 1 FROM sessions WHERE sessions.account_id = accounts.id)',
  ),
}

/** What is wrong with the rows, such as `2 sessions are of accounts that are not there`. Every table must be there. */
export function findFaults(count: CountRows): Promise<readonly string[]> {
  return findingsOf(count, FAULTS)
}

/** What is worth a look. */
export function findNotes(count: CountRows): Promise<readonly string[]> {
  return findingsOf(count, NOTES)
}

async function findingsOf(count: CountRows, questions: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const texts: string[] = []
  for (const [text, sql] of Object.entries(questions)) {
    const rows = await count(sql)
    if (rows > 0) texts.push(`${rows} ${text}`)
  }
  return texts
}
