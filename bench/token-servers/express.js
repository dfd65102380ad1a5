/** Express with jsonwebtoken, on Node or Bun. Arguments: secret, permission, title, description. */
import { createSecretKey } from 'node:crypto'
import { createRequire } from 'node:module'
import jsonwebtoken from 'jsonwebtoken'

// Express comes without types.
const express = createRequire(import.meta.url)('express')
const [secret = '', permission = '', title, description] = process.argv.slice(2)
const key = createSecretKey(Buffer.from(secret))
const app = express()
app.get(
  '/private/info/',
  (/** @type {import('node:http').IncomingMessage} */ request, /** @type {{ status: Function, json: Function }} */ response) => {
    const header = request.headers.authorization ?? ''
    try {
      if (!header.startsWith('Bearer ')) throw new Error('no token')
      // The cast: claims have any shape.
      const { data } = /** @type {{ data?: { permissions?: string[] } }} */ (
        jsonwebtoken.verify(header.slice(7), key, { algorithms: ['HS256'] })
      )
      if (data?.permissions?.includes(permission) !== true) response.status(403).json({ error: 'Forbidden' })
      else response.json({ title, description, public: false })
    } catch {
      response.status(401).json({ error: 'Unauthorized' })
    }
  },
)
const server = app.listen(0, '127.0.0.1', () => console.log(server.address().port))
