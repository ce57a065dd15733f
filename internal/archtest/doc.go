// Package archtest holds the rules of docs/architecture.md that code can break
// without any other test noticing: who may import whom, where the ledger is
// written, what a deployed function may carry, and what belongs to a function in
// template.yaml. It has tests only. Each rule is a function from sources to
// findings, tried on the repository and on a small text that breaks it.
package archtest
