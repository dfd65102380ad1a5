/** What both servers of the HTTP bench answer, so that they can be compared. */
export const SECRET = 'a secret for benches alone, of a length that HS256 asks for'
export const PERMISSION = 'my-permission-name'
export const PREDICT = 'model:iris:predict'
export const INFORMATION = { title: 'Vestal', description: 'A bench', public: true }
