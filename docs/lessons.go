package docs

import "embed"

// Lessons holds lessons/NN-NAME.md, which package lesson reads.
//
//go:embed lessons/*.md
var Lessons embed.FS
