// The program's version: what package.json says, checked by a test; reading that file at every start would cost more than a line here.
export const VERSION = '0.1.0'
