package zendeskchat

import (
	"context"
	"fmt"
	"time"

	"github.com/avow-consent/avow/internal/connector"
)

// behind is how long the search is given to forget a deleted chat. How long it
// needs, Zendesk does not say: minutes.
const behind = 5 * time.Minute

// Verify implements connector.Connector. Chats are read by their ids, which is
// never late; the search is asked for others by e-mail. As long as it shows a
// chat that does not exist any more, its preview holds what was deleted, and it
// cannot be trusted to show what is there.
func (c *Connector) Verify(ctx context.Context, call connector.Call) (connector.Residue, error) {
	p := c.visitor(call.Subject)
	if call.Subject.Agent {
		var err error
		if p, _, err = c.named(ctx, call.Subject); err != nil {
			return connector.Residue{}, err
		}
	}
	left, err := c.count(ctx, p)
	if err != nil {
		return connector.Residue{}, err
	}
	residue := connector.Residue{Counts: map[string]int{}}
	say := func(call, answer string) {
		residue.Evidence = append(residue.Evidence, connector.Evidence{At: c.now(), Call: call, Answer: answer})
	}
	switch {
	case call.Subject.Agent && len(p.agents) == 0: // nothing was looked for
	case call.Subject.Agent && c.config.AgentChats != agentDelete:
		say("GET /chats/search", fmt.Sprintf("%d chats name the agent: they stay, or go, as was decided", left.total()))
	case len(left.chats) > 0:
		residue.Counts["chats"] = left.total()
	case left.stale > 0:
		residue.Wait = behind
	case left.unchecked > 0: // hits of others by the hundred, and who knows behind them
		residue.Counts["chats"] = left.unchecked
	default:
		if len(p.ids) > 0 {
			say("GET /chats", "null")
		}
		if len(p.emails)+len(p.agents) > 0 {
			say("GET /chats/search", "no chat of the person")
		}
	}
	return residue, nil
}
