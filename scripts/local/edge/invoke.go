package edge

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/uuid"
)

// Invoke serves Lambda's Invoke API for the functions: POST /2015-03-31/functions/{name}/invocations,
// where {name} is a name or an ARN, with or without an alias or version. Signatures are not checked.
func Invoke(functions map[string]lambda.Handler) http.Handler {
	runtimes := map[string]lambda.Handler{}
	for name, h := range functions {
		runtimes[name] = Runtime(name, 0, h)
	}
	return InvokeBy(func(name string) lambda.Handler { return runtimes[name] })
}

// InvokeBy is Invoke for functions that come and go: find gives the one of a
// name, nil when there is none.
func InvokeBy(find func(name string) lambda.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := uuid.NewString()
		w.Header().Set("X-Amzn-Requestid", id) // always: Step Functions engines stumble over errors without it
		w.Header().Set("Content-Type", "application/json")
		name, ok := functionOf(r)
		if !ok {
			refuse(w, http.StatusNotFound, "UnknownOperationException", "no such operation")
			return
		}
		h := find(name)
		if h == nil {
			refuse(w, http.StatusNotFound, "ResourceNotFoundException", "Function not found: "+ARN(name))
			return
		}
		h = Runtime(name, 0, h)
		payload, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxPayload))
		if err != nil {
			refuse(w, http.StatusRequestEntityTooLarge, "RequestTooLargeException", fmt.Sprintf("Request must be smaller than %d bytes for the InvokeFunction operation", maxPayload))
			return
		}
		if len(payload) == 0 {
			payload = []byte("{}")
		}
		if !json.Valid(payload) {
			refuse(w, http.StatusBadRequest, "InvalidRequestContentException", "Could not parse request body into json")
			return
		}
		ctx := lambdacontext.NewContext(context.WithoutCancel(r.Context()), &lambdacontext.LambdaContext{AwsRequestID: id})
		switch r.Header.Get("X-Amz-Invocation-Type") {
		case "", "RequestResponse":
			answerInvocation(ctx, w, h, payload)
		case "Event":
			w.WriteHeader(http.StatusAccepted)
			go func() {
				if _, err := h.Invoke(ctx, payload); err != nil { // AWS would try twice more
					slog.Error("function failed", "function", name, "errorType", asError(err).Type)
				}
			}()
		case "DryRun":
			w.WriteHeader(http.StatusNoContent)
		default:
			refuse(w, http.StatusBadRequest, "InvalidParameterValueException", "unknown invocation type")
		}
	})
}

func answerInvocation(ctx context.Context, w http.ResponseWriter, h lambda.Handler, payload []byte) {
	out, err := h.Invoke(ctx, payload)
	w.Header().Set("X-Amz-Executed-Version", "$LATEST")
	if err != nil {
		w.Header().Set("X-Amz-Function-Error", "Unhandled")
		out, _ = json.Marshal(asError(err)) // two texts
	}
	w.Write(out)
}

// functionOf finds the name in the path of a request.
func functionOf(r *http.Request) (name string, ok bool) {
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), "/2015-03-31/functions/")
	if !ok || r.Method != http.MethodPost {
		return "", false
	}
	name, ok = strings.CutSuffix(rest, "/invocations")
	if !ok || strings.Contains(name, "/") {
		return "", false
	}
	name, err := url.PathUnescape(name)
	if err != nil {
		return "", false
	}
	if _, after, isARN := strings.Cut(name, ":function:"); isARN {
		name = after
	}
	name, _, _ = strings.Cut(name, ":") // alias or version
	return name, true
}

func refuse(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("X-Amzn-Errortype", kind)
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"Type": "User", "Message": message})
}
