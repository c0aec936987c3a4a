// The hidden command of the completion scripts; a file of its own, so that printing a script loads nothing more.

/** Followed by the shell and the words after `hostmesh`. */
export const COMPLETE = '__complete'
