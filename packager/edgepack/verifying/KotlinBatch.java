import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jetbrains.kotlin.cli.jvm.K2JVMCompiler;

/**
 * Several Kotlin compilations in one process, since starting the compiler takes longer than most of them.
 *
 * Argument: a file with one compiler argument a line and an empty line after each compilation. Files beside
 * it get the exit codes, a line apiece, and what the compiler says of the n-th: with .codes and .n.log added
 * to its name. Standard output is Java's own, which may have something to say there.
 */
final class KotlinBatch {
    public static void main(String[] arguments) throws IOException {
        List<String> call = new ArrayList<>();
        List<String> codes = new ArrayList<>();
        for (String line : Files.readAllLines(Path.of(arguments[0]))) {
            if (!line.isEmpty()) {
                call.add(line);
                continue;
            }
            Path log = Path.of(arguments[0] + "." + codes.size() + ".log");
            try (PrintStream out = new PrintStream(Files.newOutputStream(log), false, StandardCharsets.UTF_8)) {
                codes.add(String.valueOf(new K2JVMCompiler().exec(out, call.toArray(new String[0])).getCode()));
            }
            call.clear();
        }
        Files.write(Path.of(arguments[0] + ".codes"), codes);
    }
}
