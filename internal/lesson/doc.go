// Package lesson reads a lesson, which is one Markdown page, and carries out
// what it shows: every ```console block is a session that is typed, run and
// compared.
//
//	$ a command that succeeds, run by sh(1)
//	> its second line
//	what it prints, standard output and standard error as they come
//	! a command that fails
//	...
//	<A> and <B>
//
// A line of "..." stands for any lines, "..." inside a line for any text, and
// two spaces or more for any such number, as tables have between columns. <A>
// stands for one word, the same in the whole lesson, and two names for two
// different words: that two containers have one IPC namespace, and another
// pod a different one, is claimed by writing <IPC> twice and <OTHER> once.
// The lines of containers ("app | text") may come in any order; those of one
// container come in the order of the page. An empty line before a command is
// for the eye. What podlab remarks ("podlab: note: …") is shown and not compared.
//
// A paragraph that begins with `[root]`, or another condition in brackets and
// backquotes, says what the rest of its section needs, and why; below the
// title, what the lesson needs. It is shown only where that section is left out. The section "Afterwards" removes what isn't
// the pods' own, and is also run when a lesson is given up half-way.
//
// A lesson is run in a Place: a scratch directory with pods of its own, all
// gone when it is closed.
//
// The package prints nothing and knows nothing of pods: the player is
// internal/cli's, and podlab is a command like others. It is not for tests of
// details: a lesson holds what a reader wants to see.
package lesson
