// Package asl reads, checks and runs the state machines of statemachines/ in a
// test, without AWS and without waiting: a linter for what neither AWS nor the
// local engine checks before it is too late, and an engine that carries out
// definitions against the functions' own code on a clock that only jumps.
//
// It knows the part of the Amazon States Language that Avow uses, and the linter
// refuses the rest: JSONPath; Pass, Task, Choice, Wait, inline Map, Succeed and
// Fail; Lambda called with and without a task token, and nested executions.
// https://states-language.net, https://docs.aws.amazon.com/step-functions/latest/dg/
package asl
