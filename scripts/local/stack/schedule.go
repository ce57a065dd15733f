package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/google/uuid"

	"github.com/avow-consent/avow/scripts/local/cfn"
	"github.com/avow-consent/avow/scripts/local/edge"
)

// schedule calls functions as EventBridge does, at once for the first time: what
// stood still while nothing ran should go on. Where a day lasts shorter, so do
// the pauses, but a second at least.
func (o *Options) schedule(ctx context.Context, s *services, resources *cfn.Stack, functions map[string]lambda.Handler) {
	ticking, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stopClock = stop
	for _, one := range resources.Schedules {
		every := max(time.Second, time.Duration(float64(one.Every)*float64(o.day())/float64(24*time.Hour)))
		h := edge.Runtime(one.Function, timeouts(resources)[one.Function], functions[one.Function])
		s.clocks.Go(func() {
			for next := time.NewTicker(every); ; {
				tick(ticking, one, h)
				select {
				case <-ticking.Done():
					return
				case <-next.C:
				}
			}
		})
	}
}

// tick calls a function once. The end of ctx does not interrupt it.
func tick(ctx context.Context, s cfn.Schedule, h lambda.Handler) {
	event, err := []byte(s.Input), error(nil)
	if s.Input == "" {
		event, err = json.Marshal(events.EventBridgeEvent{
			Version: "0", ID: uuid.NewString(), DetailType: "Scheduled Event", Source: "aws.events", AccountID: cfn.Account,
			Time: time.Now().UTC(), Region: cfn.Region, Detail: json.RawMessage("{}"),
			Resources: []string{fmt.Sprintf("arn:aws:events:%s:%s:rule/%s", cfn.Region, cfn.Account, s.ID)},
		})
	}
	if err == nil {
		_, err = h.Invoke(context.WithoutCancel(ctx), event)
	}
	if err != nil {
		slog.Error("function failed", "function", s.Function, "error", err)
	}
}
