package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"

	"github.com/avow-consent/avow/internal/errs"
)

// text is what the log may say of an error. Texts are kept only where their author vouches for them:
// our own errors, and those with a Safe or Kind method. Of AWS errors it is the code, of all others the
// Go type, because their texts may quote an item.
func text(err error) string {
	var (
		ours *errs.Error
		safe interface{ Safe() string }
		kind interface{ Kind() string }
		code interface{ ErrorCode() string }
	)
	var parts []string
	if errors.As(err, &ours) {
		parts, err = append(parts, ours.Error()), ours.Cause
	}
	switch {
	case err == nil:
	case errors.As(err, &safe):
		parts = append(parts, safe.Safe())
	case errors.As(err, &kind):
		parts = append(parts, kind.Kind())
	case errors.As(err, &code):
		parts = append(parts, code.ErrorCode())
	default:
		parts = append(parts, typeName(err))
	}
	return strings.Join(parts, ": ")
}

// typeName is the type of the innermost error, which says more than that of its wrappers.
func typeName(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return fmt.Sprintf("%T", err)
		}
		err = inner
	}
}

// logPanic logs where a panic came from. Its value is kept only when it is the runtime's own text.
func logPanic(ctx context.Context, v any) {
	what := fmt.Sprintf("%T", v)
	if err, ok := v.(runtime.Error); ok {
		what = err.Error()
	}
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	var lines []string
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		lines = append(lines, fmt.Sprintf("%s:%d", f.Function, f.Line))
	}
	slog.ErrorContext(ctx, "panic", "panic", what, "stack", lines)
}
