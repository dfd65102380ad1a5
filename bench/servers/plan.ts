/** What every server of the benches answers, so that they can be compared. */
export const SECRET = 'a secret for benches alone, of sixty-four bytes and not one more'
export const PERMISSION = 'my-permission-name'
export const PREDICT = 'model:iris:predict'
export const INFORMATION = { title: 'Vestal', description: 'A bench', public: true }
/** What servers in files of other languages, or for Node, are told on their command line. */
export const PLAN = [SECRET, PERMISSION, INFORMATION.title, INFORMATION.description] as const
