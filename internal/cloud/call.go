package cloud

import "context"

// Call is one operation of a client of the SDK: client.SendEmail as a value. An
// adapter that needs few of a service's operations keeps those instead of the
// client. Templates call methods by name, so a program with templates carries
// every method of each type that an interface may lead to; a client in a field
// would bring its whole service along.
type Call[In, Out, Options any] func(ctx context.Context, in *In, options ...func(*Options)) (*Out, error)
