package zendeskchat

import (
	"context"
	"net/http"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
)

// erasing deletes the person's chats, which is final. Each deletion names an
// immutable id, so that it may be repeated; a chat that is gone already counts
// because it was found before.
func (c *Connector) erasing() work {
	return work{
		wants: func(*document) bool { return true }, do: c.delete, size: writes, rounds: true,
		call: "DELETE /chats/{id}", done: "deleted",
	}
}

func (c *Connector) delete(ctx context.Context, ids []string) (connector.Progress, error) {
	for _, id := range ids {
		// 204 or 200: the vendor's documentation does not say.
		if _, err := c.do(ctx, kit.Call{Method: http.MethodDelete, Route: kit.To("/chats/{id}", id), Expect: []int{http.StatusNotFound}}); err != nil {
			return connector.Progress{}, err
		}
	}
	return connector.Progress{Counts: map[string]int{"chats": len(ids)}}, nil
}
